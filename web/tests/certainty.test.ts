// Error bars in words, for what is stored and for what is not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { errorBars } from "../src/certainty";

test("without a second potential there is no error bar, and that is said", () => {
  assert.deepEqual(errorBars({}), [
    "No second potential was compared, so the frequencies have no error bar of their own.",
  ]);
});

test("bars of frequencies name the potential they follow from", () => {
  const [text] = errorBars({ frequency_bar_68: 0.1234, frequency_bar_90: 0.2, other_potential: "other" });
  assert.match(text, /up to 0\.12 THz in 68 of 100 .* up to 0\.20 THz in 90; .* other\.$/);
});

test("spreads are those at room temperature and of the worst axis", () => {
  const texts = errorBars({
    temperatures: [100, 290, 1000],
    tensor_spread: [0.9, 0.25, 0.8],
    splitting_spread: [0.1, -0.4],
    helicity_disagreement: 0.031,
    other_potential: "other",
  });
  assert.deepEqual(texts.slice(1), [
    "The mean helicity changes by 3.1 % with other.",
    "The response tensor at 300 K changes by 25 % with another division of force constants among periodic images.",
    "The linear splitting changes by 40 % with another division of force constants among periodic images.",
  ]);
});

test("given charges have no error bar, predicted ones have two", () => {
  const bars = { charge_uncertainty: 0.05, dielectric_uncertainty: 0.1, charge_crystals: 7 };
  assert.equal(errorBars({ nac_source: "record", ...bars }).length, 1);
  assert.match(errorBars({ nac_source: "predicted", ...bars })[1], /0\.050 e .* 10 % .* 7 crystals\.$/);
});

test("a volume is smaller or larger", () => {
  assert.match(errorBars({ measured_volume_change: -0.02 })[1], /2 % smaller/);
});
