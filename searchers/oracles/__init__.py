"""What a search believes about accuracy, and how far to believe it."""
