"""Generated aerial scenes with captions."""
