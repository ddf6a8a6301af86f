// Package quotes is the quotes database: import, search, random and latest.
package quotes
