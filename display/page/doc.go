// Package page holds the pages that show the stage: the kiosk's and the
// visitors' wall. They are plain ES modules and style sheets, embedded, with no build step
// and no request to another host; nothing in them is inline, so a content
// security policy of default-src 'self' (img-src 'self' blob:) fits.
//
// The modules are type-checked through their JSDoc comments (tsconfig.json).
package page
