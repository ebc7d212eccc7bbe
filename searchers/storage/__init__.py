"""Where points are kept, and how they are read again."""
