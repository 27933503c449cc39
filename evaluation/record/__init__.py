"""The two forms in which anything leaves the project: scores and findings."""
