"""The studio: a page on this machine from which pictures and clips are chosen, painted and looked at.

`access` decides who may ask for what, `library` knows the input files, `choices` are the settings that the page holds,
`preview` paints a small still of them, `queue` runs jobs as ordinary processes, `frames` serves what jobs have painted,
`routes` answers what is not the page itself, `page` is the page, and `server` puts all this together.
"""
