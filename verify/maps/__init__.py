"""The examiner of maps: one-step and few-step students against exact flows and exact laws.

It takes callables and claims; it shares nothing with the room that trains.
"""
