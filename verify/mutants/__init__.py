"""Judging the judge: wrong samplers that it must reject, and honest ones that it must not."""
