"""Pieces that pages are made of; inputs own their session key.

Untrusted text (names, terms, responses, caveats) goes through st.text, st.code or st.dataframe,
which read neither Markdown nor HTML; captions, headings and labels get words of our own only.
"""
