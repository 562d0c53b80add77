"""Files whose numbers differ from step to step: what a table of one length can and cannot show."""
