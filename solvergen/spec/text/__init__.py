"""The text of a spec: what it holds and where, how it is changed, how a new one begins."""
