"""What an event leaves out, asked of its Speckle server: before its card goes, and after."""
