// The map itself: projection, outlines, graticule, regions that can be chosen.
import Feature from "ol/Feature.js";
import OlMap from "ol/Map.js";
import View from "ol/View.js";
import { defaults as controls } from "ol/control/defaults.js";
import ScaleLine from "ol/control/ScaleLine.js";
import { boundingExtent, getCenter } from "ol/extent.js";
import GeoJSON from "ol/format/GeoJSON.js";
import LineString from "ol/geom/LineString.js";
import { defaults as interactions } from "ol/interaction/defaults.js";
import DragPan from "ol/interaction/DragPan.js";
import VectorLayer from "ol/layer/Vector.js";
import { get, toLonLat, transform } from "ol/proj.js";
import { register } from "ol/proj/proj4.js";
import VectorSource from "ol/source/Vector.js";
import Fill from "ol/style/Fill.js";
import Stroke from "ol/style/Stroke.js";
import Style from "ol/style/Style.js";
import proj4 from "proj4";

export const POLAR = "EPSG:3031";
const WHOLE = [-4.2e6, -4.2e6, 4.2e6, 4.2e6];
const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");

proj4.defs(POLAR, "+proj=stere +lat_0=-90 +lat_ts=-71 +lon_0=0 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs");
register(proj4);
get(POLAR).setExtent(WHOLE);

export const lonLat = (place) => toLonLat(place, POLAR);
const duration = () => (STILL.matches ? 0 : 250);

/** Parallels every ten degrees and meridians every thirty. */
function graticule() {
  const along = (points) => new LineString(points.map((each) => transform(each, "EPSG:4326", POLAR)));
  const lines = [-80, -70, -60].map((latitude) =>
    along(Array.from({ length: 181 }, (_, n) => [2 * n - 180, latitude])));
  for (let longitude = -180; longitude < 180; longitude += 30) {
    lines.push(along([[longitude, -89], [longitude, -40]]));
  }
  return lines.map((line) => new Feature(line));
}

const lines = (colour, width, dash) => new Style({ stroke: new Stroke({ color: colour, width, lineDash: dash }) });

const OUTLINE = [lines("rgba(255,255,255,0.7)", 2.2), lines("#1b2733", 0.8)];
const CHOSEN = [lines("#ffffff", 6), lines("#1b2733", 3)];

export class Ground {
  constructor(target, bounds, sides) {
    this.regions = new VectorSource();
    this.chosen = new VectorSource();
    const land = new VectorLayer({ source: this.regions, style: new Style({ fill: new Fill({ color: "#ffffff" }) }) });
    const grid = new VectorLayer({
      source: new VectorSource({ features: graticule() }), style: lines("#8a949e", 0.7, [2, 4]),
    });
    const outlines = new VectorLayer({ source: this.regions, style: OUTLINE });
    const chosen = new VectorLayer({ source: this.chosen, style: CHOSEN });
    this.view = new View({
      projection: POLAR, center: bounds ? getCenter(bounds) : [0, 0], zoom: 1, extent: WHOLE,
      showFullExtent: true, constrainOnlyCenter: true, enableRotation: false, maxResolution: 4e4, minResolution: 5,
    });
    this.map = new OlMap({
      target,
      view: this.view,
      layers: [land, ...sides.map((side) => side.group), grid, outlines, chosen],
      controls: controls({ attribution: false, rotate: false, zoomOptions: { duration: duration() } }).extend([
        new ScaleLine({ minWidth: 80 }),
      ]),
      interactions: interactions({ zoomDuration: duration(), dragPan: !STILL.matches }),
    });
    if (STILL.matches) this.map.addInteraction(new DragPan({}));
    if (bounds) this.view.fit(bounds, { size: this.map.getSize() });
  }

  /** Take regions in: GeoJSON whose coordinates are EPSG:3031. */
  setRegions(document) {
    const format = new GeoJSON({ dataProjection: POLAR, featureProjection: POLAR });
    this.regions.addFeatures(format.readFeatures(document));
  }

  /** The id of the region at a place: a shelf before a basin; null in the sea. */
  regionAt(place) {
    const found = this.regions.getFeaturesAtCoordinate(place);
    const shelf = found.find((feature) => feature.get("shelf"));
    return (shelf ?? found[0])?.getId() ?? null;
  }

  /** Draw the outline of a region boldly; nothing for null or a total. */
  choose(id) {
    this.chosen.clear();
    const feature = id && this.regions.getFeatureById(id);
    if (feature) this.chosen.addFeature(new Feature(feature.getGeometry()));
    return Boolean(feature);
  }

  /** Edges of a region's outline, null without one. */
  extentOf(id) {
    return this.regions.getFeatureById(id)?.getGeometry().getExtent() ?? null;
  }

  fit(extent) {
    this.view.fit(boundingExtent([extent.slice(0, 2), extent.slice(2)]), {
      padding: [40, 40, 60, 40], duration: duration(),
    });
  }
}
