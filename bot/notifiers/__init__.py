"""Workers that tell people what happened: pauses, quotas, links, repaired webhooks."""
