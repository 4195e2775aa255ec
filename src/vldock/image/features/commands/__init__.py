"""Arguments and output of `features build`, `export` and `import`.

Called by features.cli.

arguments   those the commands share        building    `features build`
transfer    `features export` and `import`
"""
