// Map, controls, legend, regions and the page's address, kept the same.
import { detailsOf, optionsOf } from "./details.js";
import { Ground, POLAR, lonLat } from "./ground.js";
import { legendOf } from "./legend.js";
import { Side } from "./rasters.js";
import { readState, writeState } from "./state.js";
import { element, plain, unitWords, whereWords, withSigma } from "./words.js";

const byId = (id) => document.getElementById(id);
const stepKey = { left: "step", right: "wstep" };
const layerKey = { left: "layer", right: "with" };

// Between two changes of the address [ms]: Safari refuses more than a hundred in thirty seconds.
const PAUSE = 500;

export class Page {
  constructor(scene, fail) {
    this.scene = scene;
    this.fail = fail;
    this.state = readState(location.hash);
    this.told = null;
    this.asked = { value: null, said: null };
    this.remembering = null;
    this.address = location.hash;
    const split = () => this.state.swipe / 100;
    this.sides = {
      left: new Side(scene, POLAR, () => [0, this.state.with ? split() : 1]),
      right: new Side(scene, POLAR, () => [split(), 1]),
    };
    this.ground = new Ground(byId("map"), scene.bounds, Object.values(this.sides));
  }

  /** Show the first map; outlines and curves come after it. */
  async begin() {
    this.warn();
    this.fillLayers();
    this.listen();
    this.goTo(this.state.at);
    const drawn = new Promise((done) => {
      this.ground.map.once("rendercomplete", done);
    });
    try {
      await Promise.all([this.show("left"), this.show("right")]);
    } catch (error) {
      this.fail(error); // outlines, curves and numbers may be there all the same
      return;
    }
    await drawn;
    performance.measure("nunatak: first map");
    document.body.dataset.shown = "map";
  }

  warn() {
    const none = this.scene.layers.length ? [] : ["None of these products has maps."];
    const warnings = [...none, ...this.scene.warnings];
    const box = byId("warnings");
    box.hidden = warnings.length === 0;
    box.open = warnings.length < 3;
    box.querySelector("summary").textContent =
      warnings.length === 1 ? "One warning" : `${warnings.length} warnings`;
    box.querySelector("ul").replaceChildren(...warnings.map((text) => element("li", { text })));
  }

  fillLayers() {
    for (const side of ["left", "right"]) {
      const groups = new Map();
      for (const layer of this.scene.layers) {
        if (!groups.has(layer.group)) groups.set(layer.group, element("optgroup", { label: layer.group }));
        groups.get(layer.group).append(element("option", { value: layer.id, text: `${layer.group}: ${layer.title}` }));
      }
      const none = side === "right" ? [element("option", { value: "", text: "nothing" })] : [];
      byId(`${side}-layer`).replaceChildren(...none, ...groups.values());
    }
    this.mend();
  }

  /** Put what there is in the place of layers that there are not. */
  mend() {
    if (!this.layerOf("left") && this.scene.layers.length) this.state.layer = this.scene.layers[0].id;
    if (!this.layerOf("right")) this.state.with = "";
  }

  layerOf(side) {
    return this.scene.layers.find((layer) => layer.id === this.state[layerKey[side]]) ?? null;
  }

  /** Index of the step that the state names: the last one where it names none. */
  stepOf(side) {
    const layer = this.layerOf(side);
    if (!layer) return 0;
    const n = layer.steps.findIndex((step) => step.label === this.state[stepKey[side]]);
    return n < 0 ? layer.steps.length - 1 : n;
  }

  listen() {
    for (const side of ["left", "right"]) {
      byId(`${side}-layer`).addEventListener("change", (event) => {
        this.change({ [layerKey[side]]: event.target.value, [stepKey[side]]: "" }, side);
      });
      byId(`${side}-step`).addEventListener("input", (event) => {
        const step = this.layerOf(side).steps[Number(event.target.value)].label;
        this.change({ [stepKey[side]]: step }, side);
      });
    }
    byId("choices").addEventListener("submit", (event) => event.preventDefault());
    byId("swipe").addEventListener("input", (event) => this.swipe(Number(event.target.value)));
    byId("region").addEventListener("change", (event) => this.choose(event.target.value));
    byId("zoom").addEventListener("click", () => this.ground.fit(this.extent()));
    window.addEventListener("hashchange", () => this.follow());
    this.listenToGrip();
    this.listenToMap();
  }

  /** The line between both sides can be dragged; the slider does the same for keys. */
  listenToGrip() {
    const grip = byId("divide").firstElementChild;
    grip.addEventListener("pointerdown", (event) => {
      grip.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    grip.addEventListener("pointermove", (event) => {
      if (!grip.hasPointerCapture(event.pointerId)) return;
      const { left, width } = byId("map").getBoundingClientRect();
      const part = Math.round((100 * (event.clientX - left)) / width);
      this.swipe(Math.min(100, Math.max(0, part)));
    });
  }

  listenToMap() {
    const { map, view } = this.ground;
    let waiting = null;
    map.on("pointermove", (event) => {
      if (event.dragging) return;
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(() => this.tell("value", event.coordinate));
    });
    map.on("click", (event) => this.pick(event.coordinate, event.originalEvent.timeStamp));
    map.getTargetElement().addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === map.getTargetElement()) {
        this.pick(view.getCenter(), event.timeStamp);
      }
    });
    map.on("moveend", () => {
      const at = [...view.getCenter(), view.getResolution()];
      this.state.at = at;
      this.remember();
    });
  }

  /** Change layers or steps, and show them. */
  change(patch, side) {
    Object.assign(this.state, patch);
    this.remember();
    this.show(side).catch(this.fail);
  }

  /** Take over an address that somebody typed or went back to. */
  follow() {
    const wanted = readState(location.hash);
    this.address = location.hash;
    if (writeState(wanted) === writeState(this.state)) return;
    this.state = wanted;
    this.mend();
    this.goTo(wanted.at);
    Promise.all([this.show("left"), this.show("right")]).catch(this.fail);
    if (this.told) this.choose(wanted.region);
  }

  goTo(at) {
    if (!at) return;
    this.ground.view.setCenter(at.slice(0, 2));
    this.ground.view.setResolution(at[2]);
  }

  /** Put the state into the address, after a pause that makes many changes one. */
  remember() {
    this.remembering ??= setTimeout(() => {
      this.remembering = null;
      if (location.hash !== this.address) return; // somebody typed another: follow() comes
      history.replaceState(null, "", writeState(this.state));
      this.address = location.hash;
    }, PAUSE);
  }

  async show(side) {
    const layer = this.layerOf(side);
    const n = this.stepOf(side);
    this.tellControls(side, layer, n);
    const shown = await this.sides[side].show(layer, n);
    if (!shown) return;
    byId("alert").hidden = true;
    this.tellLegends();
    this.swipe(this.state.swipe);
    document.body.dataset[side] = layer ? `${layer.id} ${layer.steps[n].label}` : "";
    for (const [id, question] of Object.entries(this.asked)) if (question) this.tell(id, question.place);
  }

  tellControls(side, layer, n) {
    byId(`${side}-layer`).value = layer?.id ?? "";
    const steps = layer?.steps ?? [];
    const slider = byId(`${side}-step`);
    slider.parentElement.hidden = steps.length < 2;
    slider.max = String(Math.max(0, steps.length - 1));
    slider.value = String(n);
    const words = steps[n]?.label ?? "";
    slider.setAttribute("aria-valuetext", words);
    slider.parentElement.querySelector("output").textContent = words;
  }

  tellLegends() {
    const keys = [];
    for (const [name, side] of Object.entries(this.sides)) {
      if (side.layer) keys.push(legendOf(side.layer, side.step, this.scene, name));
    }
    byId("legends").replaceChildren(...keys);
  }

  swipe(percent) {
    this.state.swipe = percent;
    const comparing = Boolean(this.state.with);
    byId("swipe-line").hidden = !comparing;
    const divide = byId("divide");
    divide.hidden = !comparing;
    divide.style.left = `${percent}%`;
    const slider = byId("swipe");
    slider.value = String(percent);
    const words = `${percent} % left, ${100 - percent} % right`;
    slider.setAttribute("aria-valuetext", words);
    slider.parentElement.querySelector("output").textContent = words;
    this.ground.map.render();
    this.remember();
  }

  /**
   * Tell what both sides show at a place: in the box "value", or to a screen reader in "said".
   *
   * Each keeps its place, so that it is told anew once another layer or step is shown; the newest
   * question of each wins.
   */
  async tell(id, place) {
    const question = { place };
    this.asked[id] = question;
    const answers = await Promise.all(Object.values(this.sides).map((side) => side.at(place)));
    if (this.asked[id] !== question) return;
    const spans = answers.filter((answer) => answer).map(valueLine);
    spans.push(element("span", { class: "where", text: whereWords(lonLat(place)) }));
    if (id === "value") byId(id).replaceChildren(...spans);
    else byId(id).textContent = spans.map((span) => span.textContent).join("; ");
  }

  /** Tell of a place and choose its region. */
  pick(place, started) {
    const id = this.ground.regionAt(place);
    if (this.told && id) {
      this.choose(id);
      // A timer that is set while a frame is drawn comes after the frame is shown.
      requestAnimationFrame(() => setTimeout(() => performance.measure("nunatak: region", { start: started })));
    }
    this.tell("value", place);
    this.tell("said", place);
  }

  /** Outlines, curves and numbers have come. */
  setRegions(regions, told) {
    this.told = told;
    this.ground.setRegions(regions);
    byId("region").replaceChildren(...optionsOf(told));
    this.choose(this.state.region);
    document.body.dataset.shown = "regions";
  }

  /** Edges of the chosen region: its outline's, else those of its pictures, else null. */
  extent() {
    const { region } = this.state;
    if (!region) return null;
    const { places } = this.scene;
    const name = this.told.regions[region].region.toLowerCase();
    return this.ground.extentOf(region) ?? (Object.hasOwn(places, name) ? places[name] : null);
  }

  choose(id) {
    const region = Object.hasOwn(this.told.regions, id) ? this.told.regions[id] : null;
    this.state.region = region ? id : "";
    byId("region").value = this.state.region;
    this.ground.choose(this.state.region);
    byId("zoom").disabled = !this.extent();
    byId("details-title").textContent = region ? region.title : "Region";
    byId("told").replaceChildren(region
      ? detailsOf(region, this.told, this.scene)
      : element("p", { class: "small", text: "Click a region in the map, or choose one here." }));
    this.remember();
  }
}

function valueLine({ layer, step, found }) {
  const made = element("span", { text: `${layer.group}, ${layer.title}, ${step.label}: ` });
  const words = found ? (found.words ?? numberWords(found, layer.unit)) : "outside the map";
  const value = element("b", { text: words });
  if (found && found.value !== null) value.dataset.value = String(found.value);
  if (found && found.sigma !== null && found.sigma !== undefined) value.dataset.sigma = String(found.sigma);
  made.append(value);
  return made;
}

function numberWords({ value, sigma }, unit) {
  if (Number.isNaN(value)) return "not measured";
  const number = sigma === null ? plain(value) : withSigma(value, sigma);
  return `${number} ${unitWords(unit)}`.trim();
}
