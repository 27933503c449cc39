"""Black-box attacks: they query logits (score-based) or predicted classes (decision-based), never gradients."""
