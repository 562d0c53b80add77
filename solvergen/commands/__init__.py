"""What each command does; modules import what they need only when a command runs."""
