"""Caption data sets: files in, images and captions with their classes and splits out.

captions   readers of caption files and image folders
dataset    `CaptionDataset`, what every reader returns
images     one image file → RGB pixels
splits     which rows train, ask and answer
views      augmented views of images and captions
scenes     generated aerial scenes with captions
report     what was left out, and why
"""
