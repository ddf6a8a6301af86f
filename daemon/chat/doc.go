// Package chat is the long-polling chat. (Not built yet: it has no routes.)
package chat
