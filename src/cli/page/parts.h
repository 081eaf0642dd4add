/* The page's own files, which become strings when knocktail is built. */
#pragma once

extern const char page_html[], page_css[], page_js[];
