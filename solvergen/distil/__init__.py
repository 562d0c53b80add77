"""Training and distilling students of one to four steps, with teachers whose error is known."""
