"""The only code that touches disks: metadata, telemetry, blobs, spool.

Nothing is re-exported here: a gateway worker needs the spool and must not load the database libraries with it.
"""
