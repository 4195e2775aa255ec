"""Facts and values shared by host and image; standard library only."""
