"""The field's experiment: data sets × methods × bits × noise × seeds × splits → runs on disk, one table, pictures.

A run trains one method once and measures it; its record is one JSON file. Records that differ in seeds only make one
row of mean and deviation; tables, pictures and pages are made of rows, and a CSV keeps them when records are gone.
"""
