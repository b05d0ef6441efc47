"""What is in the menu of a card besides *Why is this here?*."""
