"""Fetch an author's site, politely, and read its pages.

`crawl.documents_of_site` is the way in. One file for each concern: `addresses` (what is the same page, what
is on the site), `wildcards`, `robots`, `public_addresses` (no way into private networks), `fetching` (one
request at a time, with its limits), `page_cache` (what survives kill -9), `sitemaps`, `outline` (links and
wishes of a page), `frontier` (what comes next, and where a trap ends), `visit` (the crawl itself), `extract`
(a page's prose), `outcome` (what went and why).
"""
