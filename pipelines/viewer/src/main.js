// The page: reads where things are, then keeps map, controls, legend and address the same.
import "./viewer.css";
import { Page } from "./page.js";

const VERSION = 1;

async function document_(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name} answered ${answer.status}`);
  const found = await answer.json();
  return found;
}

function fail(error) {
  const place = document.getElementById("alert");
  place.textContent =
    location.protocol === "file:"
      ? "This map reads arrays piece by piece, which a page opened from a disk may not do. Run `nunatak serve` with the products' folders, or put page and products into a bucket."
      : `The map cannot be shown: ${error.message}. Load the page again; if that does not help, make it anew.`;
  place.hidden = false;
}

async function begin() {
  const scene = await document_("scene.json");
  if (scene.version !== VERSION) throw new Error(`scene.json is of version ${scene.version}, expected ${VERSION}`);
  const page = new Page(scene, fail);
  const rest = Promise.all([document_("regions.geojson"), document_("curves.json")]);
  await page.begin();
  const [regions, told] = await rest;
  page.setRegions(regions, told);
}

begin().catch(fail);
