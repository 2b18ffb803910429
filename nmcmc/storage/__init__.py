"""Files that survive: the HDF5 schema, whole files written atomically, segments of long runs.

The only package that imports h5py. Imports only types and config otherwise.
"""
