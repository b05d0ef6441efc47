"""/subscribe, /unsubscribe and /subscriptions."""
