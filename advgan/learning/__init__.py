"""What every training needs: optimisers, schedules, averages of weights, augmentation of images."""
