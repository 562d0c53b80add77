"""Commands about learned numbers: fits, calibrated files, tables, students."""
