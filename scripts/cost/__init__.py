"""`make cost`: what a month costs, from operations that were counted and prices that are dated."""
