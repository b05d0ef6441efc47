"""/test and /doctor: whether events arrive and are shown, and what to do where they are not."""
