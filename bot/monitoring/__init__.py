"""What a monitoring system reads: `GET /metrics` on an address of its own, off by default."""
