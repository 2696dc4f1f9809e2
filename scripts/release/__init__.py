"""Releases: a tag that carries the zips, an archive of it, and zips in a bucket.

``python -m scripts.release make X.Y.Z`` makes the tag and the archive, ``... verify X.Y.Z`` builds its zips again and
compares them; ``python -m scripts.release.publish`` uploads zips. Only the last one needs packages. None of them
pushes anything.
"""
