"""Precision, recall and their relatives: who lies among whose neighbours."""
