"""The field's experiment: data sets × methods × bits × noise × seeds × splits → runs on disk, one table, pictures.

A run trains one method once and measures it; its record is one JSON file. Tables, pictures and pages are made of
records alone, so that a figure can always be traced to the run behind it.
"""
