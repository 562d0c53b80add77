"""How an examination is shown: terminal, JSON, JUnit, one HTML page."""
