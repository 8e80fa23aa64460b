"""Georeferenced scenes in, chips of pixels out: windows, bands, stretches. Needs rasterio (extra "raster")."""
