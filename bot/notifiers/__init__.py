"""Workers that notify people: of pauses, quotas, linked accounts, repaired webhooks."""
