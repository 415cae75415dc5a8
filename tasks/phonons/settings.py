"""How force constants are computed."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

NacSetting = Literal["none", "given", "predicted"]


class PhononSettings(BaseModel):
    """How force constants are computed and stability is judged."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Left out of keys and records where it is the default, so that older results remain valid.
    method: Literal["displacements", "hessian"] = Field(
        "displacements",
        exclude_if=lambda method: method == "displacements",
        description="finite displacements, or second derivatives of a potential that offers them",
    )
    displacement: float = Field(0.01, gt=0, description="length of a displacement (Å)")
    min_supercell_length: float = Field(10.0, gt=0, description="distance between images (Å)")
    max_atoms: int = Field(200, ge=1, description="largest number of atoms in a supercell")
    max_boundary_shift: float = Field(
        0.02,
        gt=0,
        description="estimated error of interpolated frequencies, as a fraction of the highest "
        "frequency, above which the supercell is enlarged",
    )
    max_enlargements: int = Field(1, ge=0, description="how often a supercell may be enlarged")
    # It enters the analysis of the modes, never the force constants: no part of their key.
    nac: NacSetting = Field(
        "predicted",
        description="Born charges: none, given ones, or predicted ones of insulators without given",
    )

    @property
    def displacement_distance(self) -> float | None:
        """Length of a displacement in Å; None where nothing is displaced."""
        return self.displacement if self.method == "displacements" else None
