/// What one step of the builder will change. Kept between steps so that its buffers are.
package final class IVFPlan {
    /// The step that was planned.
    var operation: IVFOperation?
    /// The list of a node to be linked, and its distance from the centre.
    var list = 0
    var distance: Float = 0
    /// What training has come to: lists and mean distance, or that it cannot go on.
    var trained: (lists: IVFLists, distance: Double)?
    var isOutOfMemory = false
    /// What the last training put out of use, freed with the next plan: not under a lock.
    fileprivate var replaced: (IVFLists, IVFTraining?)?
    fileprivate let vector: IVFBlock<Float>
    fileprivate let room: IVFRoom

    /// A plan for the steps of `index`.
    package init(_ index: IVFIndex) {
        vector = IVFBlock(index.configuration.vectors.dimensions, filledWith: 0)
        room = IVFRoom(
            listCount: index.configuration.listCount,
            dimensions: index.configuration.vectors.dimensions
        )
    }
}

extension IVFIndex {
    /// Works out what `operation`, the index's next, changes. Reads the index without a lock.
    ///
    /// - Complexity: a link: O(lists · dimensions); an unlink: O(1); training: a slice of it, about
    ///   a millisecond, its first O(nodes).
    package func plan(_ operation: IVFOperation, into plan: IVFPlan) {
        plan.operation = operation
        (plan.trained, plan.isOutOfMemory, plan.replaced) = (nil, false, nil)
        switch operation.kind {
        case .link: planLink(operation.node, plan)
        case .unlink: break
        case .train: planTraining(plan)
        }
    }

    private func planLink(_ node: UInt32, _ plan: IVFPlan) {
        (plan.list, plan.distance) = (0, 0)
        guard let centroids = lists.centroids else { return }
        nodes.rows.exactView.vector(node, into: plan.vector.base)
        (plan.list, plan.distance) = centroids.nearest(plan.vector.base, plan.room)
    }

    private func planTraining(_ plan: IVFPlan) {
        let current =
            training
            ?? IVFTraining(
                nodes: nodes,
                lists: lists,
                configuration: configuration,
                turn: trainingCount
            )
        training = current
        do {
            plan.trained = try current.advance()
        } catch {
            plan.isOutOfMemory = true
        }
    }

    /// Does what was planned for the index's next operation. Needs the writer lock.
    ///
    /// - Complexity: O(1) amortised.
    package func apply(_ plan: IVFPlan) {
        guard let operation = plan.operation, operation == nextOperation else {
            preconditionFailure("plans are applied in order, once")
        }
        plan.operation = nil
        switch operation.kind {
        case .link: applyLink(operation.node, list: plan.list, distance: plan.distance)
        case .unlink: applyUnlink(operation.node)
        case .train:
            if let trained = plan.trained {
                plan.replaced = applyTraining(trained.lists, distance: trained.distance)
            } else if plan.isOutOfMemory {
                postponeTraining()
            }
            plan.trained = nil
        }
    }

    /// Takes one step if one waits: for an index that no other thread uses.
    ///
    /// - Returns: whether there was one.
    package func step(_ plan: IVFPlan) -> Bool {
        guard let operation = nextOperation else { return false }
        self.plan(operation, into: plan)
        apply(plan)
        return true
    }
}
