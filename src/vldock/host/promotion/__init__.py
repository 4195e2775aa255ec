"""Promotion of a verified image to a registry.

Its tags move last, safely under kill -9. Called by cli.promote; workflow is the door. Knows receipts, images and
registries.

workflow    a whole promotion or rollback: source, plan, execution
plan        image, receipts, tags and their moves; changes nothing
execute     blobs, manifest, read-back, artifacts, log, tags, in this order
receipts    the request, and the receipts that are valid for its image
artifacts   receipts, SBOM and log beside an image: in the registry, or in a folder
channels    moving tags and their required groups; the tag that never moves
log         what moved, from where: read back after a kill, and for a rollback
rollback    a moving tag back to its previous image
"""
