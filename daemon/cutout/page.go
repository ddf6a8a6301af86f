package cutout

import (
	"embed"
	"html/template"
	"io/fs"
	"net/http"

	"github.com/sierpi/sierpi/daemon/web"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.New("cutout.html").Funcs(web.Funcs()).ParseFS(pageFiles, "page/cutout.html"))

// newAssets are the page's scripts and style.
func newAssets() (*web.Assets, error) {
	files, err := fs.Sub(pageFiles, "page/static")
	if err != nil {
		return nil, err
	}
	return web.NewAssets("/static/cutout/", files)
}

func (s *Service) page(w http.ResponseWriter, r *http.Request) {
	s.look.Render(w, r, web.View{
		Title: "Cut-out", Section: "/cutout", Body: pageTemplate,
		Data:    map[string]any{"MaxMB": s.uploads.total / 1e6, "MaxBytes": s.uploads.total, "MaxFeather": MaxFeather},
		Scripts: []string{s.assets.URL("cutout.js")}, Styles: []string{s.assets.URL("cutout.css")},
	})
}
