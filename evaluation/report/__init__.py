"""From the results of a run to something a person reads: a table on the console, one HTML page in the browser."""
