"""Many targets judged side by side: each in a process of its own, under limits, in the order of a sweep."""
