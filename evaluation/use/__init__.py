"""The use of generated images as training data: accuracy of classifiers trained on them."""
