"""The explorer: one page on which emitted samplers run in the browser, beside exact solutions."""
