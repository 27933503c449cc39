"""Several runs held against each other: rows, tests, a verdict, and the page that shows them."""
