"""What is said about webhooks at Speckle."""
